-- Counting a long text takes a moment, not a minute.
-- expect: "20971520"
return tostring(utf8.len(string.rep("x", 20 * 2 ^ 20)))
