"""Which servers does one machine need, and how do they end with the program that started them?"""
