-- A result that holds itself.
-- expect: RW0713 holds itself
local t = {}
t.t = t
return t
