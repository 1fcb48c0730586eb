-- A list with a hole.
-- expect: RW0713 a list has no item 2
return { [1] = "a", [3] = "c" }
