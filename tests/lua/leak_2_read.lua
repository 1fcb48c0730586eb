-- The next script, in the same process, finds nothing.
-- expect: "nil nil nil"
return `{leaked} {_G.leaked_too} {math.leaked}`
