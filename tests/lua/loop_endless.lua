-- A loop without an end is ended at its time.
-- expect: RW0703
while true do
end
