-- JSON that is large, deep, or grows when it is read.
-- expect: "false false false"
local a = pcall(runward.json.decode, "[" .. string.rep("0,", 2 ^ 21) .. "0]")
local b = pcall(runward.json.decode, string.rep("[", 2 ^ 19))
local shared = {}
for _ = 1, 40 do
    shared = { shared, shared }
end
local c = pcall(runward.json.encode, shared)
return `{a} {b} {c}`
