-- Control sequences do not get through in messages.
-- expect: RW0713 line 3 of the script: red  [31m bell    end
error("red \27[31m bell \7\n end")
