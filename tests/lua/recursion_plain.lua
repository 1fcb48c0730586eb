-- Plain recursion ends in an error too.
-- expect: RW0713 line 4 of the script: stack overflow
local function down(n)
    return 1 + down(n + 1)
end
return down(0)
