troth-assembly 1
; image 666f9ed57f216edd9b4fdbb640ef54a3b60829d7476dd143198b1b67e029ff90
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
    spawn r2 = child(r0, -)
    halt

program child(f0: Job.Client, f1: int) registers 8
    halt

program twins(f0: Job.Client, f1: Job.Client) registers 8
    halt
