-- Searching plain text compares half of it at every position.
-- expect: RW0713 too long for so long a pattern
local hay = string.rep("a", 2 ^ 24)
return "ESCAPE " .. tostring(string.find(hay, string.rep("a", 2 ^ 23) .. "b", 1, true))
