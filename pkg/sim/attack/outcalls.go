package main

func outcalls() []attack { return nil }
