-- The host's functions get what they do not expect.
-- expect: "survived"
local cycle = {}
cycle.self = cycle
local deep = {}
local at = deep
for _ = 1, 1e5 do
    at.down = {}
    at = at.down
end
local odd = {
    false, -1, 0 / 0, math.huge, 2 ^ 60, "", "\0", string.rep("A", 1e6), cycle, deep, print,
    coroutine.create(print), buffer.create(8), runward.null, runward.decimal("1.5"), runward.list({ 1 }),
}
for _, f in { runward.decimal, runward.list, runward.log, runward.fail, runward.json.encode, runward.json.decode } do
    pcall(f)
    for _, value in odd do
        pcall(f, value)
        pcall(f, value, value, value)
    end
end
local d = runward.decimal("10")
for _, value in odd do
    for _, f in {
        function() return d + value end,
        function() return value / d end,
        function() return d < value end,
        function() return d .. value end,
        function() return d:round(value) end,
        function() return d:round(2, value) end,
        function() return d:compare(value) end,
    } do
        pcall(f)
    end
end
return "survived"
