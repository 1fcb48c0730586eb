-- No memory address can be seen, so that two runs don't differ.
-- expect: "table function thread table function buffer null"
local texts = {
    tostring({}),
    tostring(print),
    `{coroutine.create(print)}`,
    string.format("%s", {}),
    string.format("%*", function() end),
    tostring(buffer.create(1)),
    tostring(runward.null),
}
return table.concat(texts, " ")
