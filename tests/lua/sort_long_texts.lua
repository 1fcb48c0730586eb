-- Sorting many references to two long texts that differ at their end.
-- expect: RW0703
local long = string.rep("s", 2 ^ 23)
local a, b = long .. "a", long .. "b"
local list = {}
for i = 1, 2 ^ 16 do
    list[i] = if i % 3 == 0 then a else b
end
table.sort(list)
return "ESCAPE sorted"
