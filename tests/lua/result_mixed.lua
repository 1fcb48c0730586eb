-- Neither list nor map.
-- expect: RW0713 positions and names
return { 1, 2, total = 3 }
