return args.a + 1
