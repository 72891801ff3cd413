"""What is different between two analyses of one kind: other grounds, other answers, other distributions?"""
