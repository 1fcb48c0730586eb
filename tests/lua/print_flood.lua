-- Output is kept up to a cap, however much there is.
-- expect: RW0703
while true do
    print(string.rep("flood ", 100))
end
