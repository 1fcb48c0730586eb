-- Catching the error that ends a script does not keep it alive.
-- expect: RW0703
while true do
    pcall(function()
        repeat
        until false
    end)
end
