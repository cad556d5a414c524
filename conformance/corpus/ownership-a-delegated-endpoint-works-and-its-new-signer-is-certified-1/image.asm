troth-assembly 1
; image 0cc842183e9427ac10b2f0755bb50fcb503a7438579b9030abb61e563b757d7f
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

; protocol a8c20c50f0284dd5a518b5161208335be2baa76e965c9529dbdb64922cdf5fc6
protocol Hire(Dispatcher, Worker)
  type Dispatcher
    0: Worker ! take(f0: Job.Server) -> 1
    1: end
  type Worker
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
    send r0 Worker!take(r1)
    close r0
    halt

program worker(f0: Hire.Worker) registers 8
    recv r0 Dispatcher?take(r1)
    close r0
    recv r1 Client?ask(r2)
    send r1 Client!answer(r2)
    halt
