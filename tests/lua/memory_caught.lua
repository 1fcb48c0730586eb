-- A script that lives on its memory errors is ended by its time.
-- expect: RW0703
while true do
    pcall(function()
        local hoard = {}
        while true do
            hoard[#hoard + 1] = string.rep("x", 2 ^ 20) .. #hoard
        end
    end)
end
