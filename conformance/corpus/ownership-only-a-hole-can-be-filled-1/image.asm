troth-assembly 1
; image 98524a47d1b5e68334fc863078925da249115e130af306d992238b56e4ca73db
entry main

; protocol 30a7ab59cc3c295d283a1b619bb936eb12f540b1a3d34239664d3ec5e68c2056
protocol Job(Client, Server)
  type Client
    0: Server ! ask(f0: int) -> 1
    1: Server ? answer(f0: int) -> 2
    2: end
  type Server
    0: Client ? ask(f0: int) -> 1
    1: Client ! answer(f0: int) -> 2
    2: end

program main() registers 8
    open Job(r0, r1)
    spawn r2 = server(-)
    spawn r3 = client(r0)
    yield
    yield
    yield
    transfer r1 -> r2[1]
    halt

program server(f0: Job.Server) registers 8
    move r1 = r0
    recv r1 Client?ask(r2)
    send r1 Client!answer(r2)
    halt

program client(f0: Job.Client) registers 8
    set r1 = 42
    send r0 Server!ask(r1)
    recv r0 Server?answer(r2)
    op r7 = print(r2)
    halt
