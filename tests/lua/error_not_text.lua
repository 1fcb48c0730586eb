-- An error without words.
-- expect: RW0713
error({ code = 7 })
