-- Many large decimals at once are bounded by what their handles take of Lua's memory.
-- expect: RW07
local hoard = {}
local seed = runward.decimal(string.rep("9", 190))
while true do
    hoard[#hoard + 1] = seed + #hoard
end
