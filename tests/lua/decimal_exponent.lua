-- A short text can name a number that takes a gigabyte to write down: refused, and text in JSON.
-- expect: "false string"
local made = pcall(runward.decimal, "1e999999999")
local read = runward.json.decode("[1e999999999]")
return `{made} {type(read[1])}`
