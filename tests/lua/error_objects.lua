-- An error that is an object whose name takes for ever.
-- expect: RW0703
error(setmetatable({}, {
    __tostring = function()
        while true do
        end
    end,
}))
