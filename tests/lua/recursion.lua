-- Recursion through C, metamethods and coroutines ends in errors, not in a crash.
-- expect: "false true false false"
local function through_gsub()
    return (string.gsub("x", "x", through_gsub))
end
local a = pcall(through_gsub)
local function through_pcall()
    return pcall(through_pcall)
end
local b = pcall(through_pcall)
local mirror = setmetatable({}, {})
getmetatable(mirror).__index = function(_, key)
    return mirror[key .. "."]
end
local c = pcall(function()
    return mirror.face
end)
local function through_coroutines()
    return coroutine.wrap(through_coroutines)()
end
local d = pcall(through_coroutines)
return `{a} {b} {c} {d}`
