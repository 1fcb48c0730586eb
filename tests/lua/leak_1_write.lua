-- Leaves things lying about for the next script.
-- expect: "written"
leaked = "from the first script"
pcall(function()
    _G.leaked_too = leaked
end)
pcall(rawset, math, "leaked", leaked)
return "written"
