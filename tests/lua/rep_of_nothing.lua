-- Repeating nothing two thousand million times takes no time.
-- expect: "0"
return tostring(#string.rep("", 2 ^ 31 - 1))
