-- Nothing that reaches files, programs, clocks, chance, bytecode or other people's environments.
-- expect: ""
local found = {}
local names = "os io debug package require dofile loadfile load loadstring collectgarbage gcinfo getfenv setfenv newproxy vector integer"
for name in string.gmatch(names, "%S+") do
    if _G[name] ~= nil then
        found[#found + 1] = name
    end
end
for name in string.gmatch("random randomseed noise", "%S+") do
    if math[name] ~= nil then
        found[#found + 1] = "math." .. name
    end
end
for name in string.gmatch("dump pack unpack packsize", "%S+") do
    if string[name] ~= nil then
        found[#found + 1] = "string." .. name
    end
end
return table.concat(found, " ")
