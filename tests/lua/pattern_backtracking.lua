-- Backtracking in a pattern is C code, and is ended too.
-- expect: RW0703
return "ESCAPE " .. tostring(string.find(string.rep("o", 30000), string.rep("o-", 20) .. "x"))
