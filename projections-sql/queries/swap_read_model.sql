SELECT swap_read_model($1, $2);
