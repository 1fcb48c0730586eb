-- A set as long as the text, looked at for each of its bytes.
-- expect: RW0713 too long for so long a pattern
local set = "[" .. string.rep("b", 2 ^ 22) .. "a]*"
return "ESCAPE " .. #string.match(string.rep("a", 2 ^ 22), set)
