-- Every function that can be reached from the globals is one that we list.
-- expect: "bit32:15 buffer:24 coroutine:8 json:2 math:33 runward:4 string:14 table:13 utf8:5"
local counts, seen = {}, {}
local function walk(table_, name)
    if seen[table_] then
        return
    end
    seen[table_] = true
    for key, value in next, table_ do
        if type(value) == "table" then
            walk(value, key)
        elseif type(value) == "function" and name then
            counts[name] = (counts[name] or 0) + 1
        end
    end
end
walk(_G, nil)
local parts = {}
for name, count in counts do
    parts[#parts + 1] = `{name}:{count}`
end
table.sort(parts)
return table.concat(parts, " ")
