-- A small result that is large when it is written down.
-- expect: RW0713 too large
local t = { "ha" }
for _ = 1, 30 do
    t = { t, t, t, t }
end
return t
