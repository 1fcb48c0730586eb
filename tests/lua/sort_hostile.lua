-- Comparators that lie, change the list, or never answer.
-- expect: RW0703
local function list()
    local items = {}
    for i = 1, 500 do
        items[i] = i
    end
    return items
end
pcall(table.sort, list(), function()
    return true
end)
local changing = list()
pcall(table.sort, changing, function(a, b)
    table.clear(changing)
    return a < b
end)
table.sort(list(), function()
    while true do
    end
end)
return "ESCAPE sorted"
