module realmgate.example/verifier

go 1.24
