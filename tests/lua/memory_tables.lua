-- Tables asked for at a size that no machine has.
-- expect: "false false false"
local a = pcall(table.create, 2 ^ 30)
local b = pcall(table.create, 2 ^ 30, "x")
local c = pcall(buffer.create, 2 ^ 29)
return `{a} {b} {c}`
