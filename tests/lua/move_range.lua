-- Ranges that hold nothing, but are long.
-- expect: "false false false"
local a = pcall(table.move, {}, 1, 2 ^ 30, 2)
local b = pcall(table.move, {}, -2 ^ 30, 2 ^ 30, 2, {})
local c = pcall(table.unpack, {}, 1, 2 ^ 30)
return `{a} {b} {c}`
