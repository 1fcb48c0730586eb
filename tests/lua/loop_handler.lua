-- Neither does a handler that loops itself.
-- expect: RW0703
while true do
    xpcall(function()
        while true do
        end
    end, function()
        while true do
        end
    end)
end
