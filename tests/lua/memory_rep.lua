-- One call that asks for a gigabyte.
-- expect: RW0713 more than 64 MiB
return "ESCAPE " .. #string.rep("money", 2 ^ 26)
