-- Decimals live outside of Lua's memory: squaring one over and over must end by itself.
-- expect: RW0713 more than 200 digits
local d = runward.decimal("1.23456789")
while true do
    d = d * d
end
