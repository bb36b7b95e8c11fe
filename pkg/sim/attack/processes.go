package main

func processes() []attack { return nil }
