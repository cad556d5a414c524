troth-assembly 1
; image 9c348431d146548242402f2486218c3099c9d955fb16a2200be2b5b4dbf4b9df
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

; protocol edd87ed6b89dcb09b14cd102125660aeca1b50562f0ca741da37020b22bf3157
protocol Hire(Dispatcher, Server)
  type Dispatcher
    0: Server ! take(f0: Job.Server) -> 1
    1: end
  type Server
    0: Dispatcher ? take(f0: Job.Server) -> 1
    1: end

program main() registers 8
    open Job(r0, r1)
    open Hire(r2, r3)
    spawn r4 = client(r0)
    spawn r4 = dispatcher(r2, r1)
    spawn r4 = worker(r3)
    halt

program client(f0: Job.Client) registers 8
    set r1 = 42
    send r0 Server!ask(r1)
    recv r0 Server?answer(r2)
    op r7 = print(r2)
    halt

program dispatcher(f0: Hire.Dispatcher, f1: Job.Server) registers 8
    send r0 Server!take(r1)
    halt

program worker(f0: Hire.Server) registers 8
    recv r0 Dispatcher?take(r1)
    close r0
    recv r1 Client?ask(r2)
    send r1 Client!answer(r2)
    halt
