-- There is nobody to yield to.
-- expect: RW0713 yield
coroutine.yield("out")
return "ESCAPE resumed"
