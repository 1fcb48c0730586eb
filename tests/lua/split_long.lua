-- So does splitting.
-- expect: RW0713 too long for so long a pattern
local hay = string.rep("a", 2 ^ 24)
return "ESCAPE " .. #string.split(hay, string.rep("a", 2 ^ 23) .. "ba")
