-- The libraries and what all texts share can't be changed.
-- expect: "false false false false false locked"
local a = pcall(function()
    string.upper = nil
end)
local b = pcall(rawset, string, "upper", print)
local c = pcall(function()
    runward.json.encode = print
end)
local d = pcall(setmetatable, string, {})
local e = pcall(rawset, _G, "print", 1)
return `{a} {b} {c} {d} {e} {getmetatable("")}`
