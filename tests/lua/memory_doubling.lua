-- Text that doubles hits the limit.
-- expect: RW0713 more than 64 MiB
local text = "runward"
while true do
    text = text .. text
end
