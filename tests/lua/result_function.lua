-- A result that is no data.
-- expect: RW0713 a function can't leave the script
return { run = print }
