-- A table that lies about its length is asked for its true one.
-- expect: "done"
local liar = setmetatable({}, {
    __len = function()
        return 2 ^ 52
    end,
    __index = function()
        return "x"
    end,
})
pcall(table.concat, liar)
pcall(table.insert, liar, 1, "y")
pcall(table.remove, liar, 1)
pcall(table.find, liar, "z")
pcall(table.sort, liar)
return "done"
