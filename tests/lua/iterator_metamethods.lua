-- A result's metamethods are not asked.
-- expect: "plain"
return setmetatable({}, {
    __index = function()
        error("asked")
    end,
    __iter = function()
        while true do
        end
    end,
}) and "plain"
