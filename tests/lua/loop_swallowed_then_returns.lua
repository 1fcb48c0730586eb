-- A script that catches the end of its time and then returns quickly is over its time all the same.
-- expect: RW0703
pcall(function()
    while true do
    end
end)
return "ESCAPE: in time"
