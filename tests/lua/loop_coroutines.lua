-- Coroutines share the one limit.
-- expect: RW0703
while true do
    local thread = coroutine.create(function()
        while true do
        end
    end)
    coroutine.resume(thread)
    coroutine.close(thread)
end
